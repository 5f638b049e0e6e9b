"""The same patients given the racemate and half the dose of one mirror image."""

import klarsyn

model = klarsyn.read_model("KSR-1")
patients = klarsyn.sample_individuals(model, 200, seed=1)
for form, dose in (("racemate", "0.5 mg/kg"), ("S", "0.25 mg/kg")):
    regimen = klarsyn.parse_regimen(f"{dose} base iv over 40 min")
    print(klarsyn.simulate(patients, regimen, form).summary().split("\n- ")[0], end="\n\n")
