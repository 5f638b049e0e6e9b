"""Paired differences between the mirror images: what is told, and what cannot be told."""

import klarsyn
from klarsyn.pharmacology.compare import compare
from klarsyn.pharmacology.session import Patients, simulate_session

substance, model = klarsyn.read_substance("ketamine"), klarsyn.read_model("KSR-1")
patients = Patients(n=100, seed=1, followed=40)
regimen = klarsyn.parse_regimen("0.5 mg/kg base iv over 40 min")
first, second = (
    simulate_session(substance, form=form, regimen=regimen, model=model, patients=patients)
    for form in ("S", "R")
)
print(compare(first, second).summary())
