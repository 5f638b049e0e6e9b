"""Where a number comes from, and the digest and random stream of what is computed from it."""

from klarsyn.provenance.digest import digest_of
from klarsyn.provenance.seeds import normals, stream, uniforms
from klarsyn.provenance.sourced import KINDS, Source, Sourced

__all__ = ["KINDS", "Source", "Sourced", "digest_of", "normals", "stream", "uniforms"]
