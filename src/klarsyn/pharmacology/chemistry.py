"""RDKit's word on a substance: formula, mass and chirality from the structure, and its drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from klarsyn.errors import InputError, MissingExtraError
from klarsyn.pharmacology.substance import Substance

MASS_TOLERANCE = 0.02  # g/mol: the sources round to two decimals


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureCheck:
    """What one structure says against what the substance's file says."""

    name: str
    formula: str
    formula_expected: str
    molar_mass: float
    molar_mass_expected: float
    chirality: str
    chirality_expected: str

    @property
    def agrees(self) -> bool:
        """Whether formula, mass and chirality all agree."""
        return (
            self.formula == self.formula_expected
            and abs(self.molar_mass - self.molar_mass_expected) <= MASS_TOLERANCE
            and (not self.chirality_expected or self.chirality == self.chirality_expected)
        )


def check_structures(substance: Substance) -> tuple[StructureCheck, ...]:
    """Every structure of the substance held against its printed formula, mass and label.

    `chirality` lists the CIP labels in atom order; a metabolite of the S form is expected to be
    S at each of its stereocentres.

    Raises MissingExtraError without RDKit, InputError for a SMILES that is none.
    """
    rows = [
        (substance.name, substance.smiles, substance.formula, substance.molar_mass, ""),
        *(
            (f"{label}-{substance.name}", e.smiles, substance.formula, substance.molar_mass, label)
            for label, e in substance.enantiomers.items()
        ),
        *(
            (f"{label}-{m.name}", smiles, m.formula, m.molar_mass, label)
            for m in substance.metabolites
            for label, smiles in m.smiles.items()
        ),
        *((r.name, r.smiles, r.formula, r.molar_mass, "") for r in substance.relatives),
    ]
    return tuple(_check(*row) for row in rows if row[1])


def draw(smiles: str, *, width: int = 260, height: int = 200) -> str:
    """The structure as SVG text, stereocentres labelled."""
    from_smiles = _molecule(smiles)
    from rdkit.Chem import rdCIPLabeler
    from rdkit.Chem.Draw import rdMolDraw2D

    rdCIPLabeler.AssignCIPLabels(from_smiles)
    canvas = rdMolDraw2D.MolDraw2DSVG(width, height)
    canvas.drawOptions().addStereoAnnotation = True
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, from_smiles)
    canvas.FinishDrawing()
    return canvas.GetDrawingText()


def _check(name: str, smiles: str, formula: str, mass: float, label: str) -> StructureCheck:
    molecule = _molecule(smiles)
    from rdkit.Chem import rdCIPLabeler
    from rdkit.Chem.Descriptors import MolWt  # type: ignore[attr-defined]
    from rdkit.Chem.rdMolDescriptors import CalcMolFormula

    rdCIPLabeler.AssignCIPLabels(molecule)
    labels = [a.GetProp("_CIPCode") for a in molecule.GetAtoms() if a.HasProp("_CIPCode")]
    return StructureCheck(
        name=name,
        formula=CalcMolFormula(molecule),
        formula_expected=formula,
        molar_mass=float(MolWt(molecule)),
        molar_mass_expected=mass,
        chirality=",".join(labels),
        chirality_expected=",".join([label] * len(labels)) if label else "",
    )


def _molecule(smiles: str) -> Any:
    try:
        from rdkit import Chem, RDLogger
    except ImportError:
        raise MissingExtraError(
            "Structures need RDKit. Install it with: pip install 'klarsyn[chem]'"
        ) from None
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise InputError(f"{smiles!r} is not a SMILES that RDKit can read.")
    return molecule
