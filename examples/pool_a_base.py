"""Pool the shipped trials at about 24 hours against an inert control."""

import klarsyn

base = klarsyn.open_base("ketamine_depression")
question = klarsyn.read_questions(base)["day1"]
found = klarsyn.derive_effects(base, question).against("inert")
pooled = klarsyn.pool(klarsyn.as_effects(found.effects), method="REML", test="adhoc")
print(pooled.summary())
