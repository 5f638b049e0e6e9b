"""The tables of an evidence base: each column with its type, closed list, reference and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from klarsyn.evidence.vocabulary import LISTS
from klarsyn.tables import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column of a base's table.

    `kind` is as in `tables.Column`. `list` names a closed list, of the engine or of the base;
    `table` names the table whose key the cell must be. `attribute` is the record's own name.
    """

    name: str
    meaning: str
    kind: str = "text"
    empty: bool = True
    list: str = ""
    table: str = ""
    attribute: str = ""
    minimum: float | None = None

    def column(self) -> Column:
        """The strict reading of this column."""
        engine = self.list in LISTS
        return Column(
            name=self.name,
            kind=self.kind,
            may_be_empty=self.empty,
            minimum=self.minimum,
            allowed=tuple(n for n in LISTS[self.list] if n) if engine else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """One table of a base; `key` are the columns that name a row."""

    name: str
    meaning: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    required: bool = True


def _text(name: str, meaning: str, **rest: object) -> Field:
    return Field(name=name, meaning=meaning, **rest)  # pyright: ignore[reportArgumentType]


def _must(name: str, meaning: str, **rest: object) -> Field:
    return _text(name, meaning, empty=False, **rest)


def _number(name: str, meaning: str, **rest: object) -> Field:
    return _text(name, meaning, kind="number", **rest)


def _count(name: str, meaning: str, **rest: object) -> Field:
    return _text(name, meaning, kind="count", **rest)


def _days(name: str, meaning: str, **rest: object) -> Field:
    return _text(name, meaning, kind="number", minimum=0.0, **rest)


def _truth(name: str, meaning: str, **rest: object) -> Field:
    return _text(name, meaning, kind="truth", **rest)


_TRIAL = _must("trial_id", "the trial", table="trials", attribute="trial")
_ARM = _must("arm_id", "an arm of the trial, or `all`", attribute="arm")
_SOURCE = _text("source_id", "where it was read", table="sources", attribute="source")
_LOCATOR = _text("locator", "table, figure, page or field within the source")
_NOTE = _text("note", "anything a reader must know")
_SCALE = _text("scale", "rating scale, where one applies", table="scales")
_DAYS = _number("days_from_first_dose", "days since the first dose")
_KIND = _must("kind", "reported, derived, digitised or assumed", list="kind")

TRIALS = TableSchema(
    name="trials",
    meaning="one row per trial that was really run",
    key=("trial_id",),
    fields=(
        _must("trial_id", "short, stable and unique", attribute="id"),
        _must("label", "how it is cited in running text, such as Author 2020"),
        _text("year", "year of the main report", kind="whole", minimum=1900),
        _text("journal", "journal of the main report"),
        _text("doi", "DOI of the main report"),
        _text("pmid", "PubMed id of the main report"),
        _text("registry", "registration number"),
        _text("country", "country or countries"),
        _text("design", "closed list", list="design"),
        _truth("randomised", "whether allocation was random"),
        _text("blinding", "closed list", list="blinding"),
        _text("comparator", "class of the control, closed list", list="comparator"),
        _text("population", "who was treated", list="population"),
        _count("participants", "number randomised, or treated where nobody was randomised"),
        _count("sites", "number of centres"),
        _days("doses", "planned doses of the test treatment in the randomised phase"),
        _days("doses_per_week", "of the planned schedule; blank for a single dose"),
        _days("treatment_days", "days from first to last dose"),
        _days("followup_days", "days of follow-up after the last dose"),
        _text("primary_outcome", "the registered or stated primary outcome", list="outcome"),
        _text("cited_by", "assessments that cite it, separated by semicolons"),
        _SOURCE,
        _LOCATOR,
        _NOTE,
    ),
)
ARMS = TableSchema(
    name="arms",
    meaning="what one group of a trial received",
    key=("trial_id", "arm_id"),
    fields=(
        _TRIAL,
        _must("arm_id", "unique within the trial", attribute="id"),
        _must("label", "a few words"),
        _must("treatment", "node of a network of treatments", list="treatment"),
        _must("role", "closed list", list="role"),
        _text("drug", "substance", list="drug"),
        _text("form", "form of the substance, such as one enantiomer", list="form"),
        _days("dose", "one dose, in dose_unit"),
        _text("dose_unit", "unit of the dose", list="dose_unit"),
        _text("route", "route of administration", list="route"),
        _days("infusion_minutes", "duration of one infusion"),
        _days("doses", "planned doses"),
        _days("doses_per_week", "of the planned schedule; blank for a single dose"),
        _count("randomised", "participants randomised to it"),
        _count("started", "participants who received at least one dose"),
        _count("completed", "participants who finished the treatment phase"),
        _SOURCE,
        _LOCATOR,
        _NOTE,
    ),
)
FINDINGS = TableSchema(
    name="findings",
    meaning="one number a row, or one recorded absence",
    key=("finding_id",),
    fields=(
        _must("finding_id", "stable and unique, such as trial:12", attribute="id"),
        _TRIAL,
        _must(
            "arm_id",
            "an arm, `all`, `all_test` (all given the drug), or a contrast `a|b` (first minus "
            "second)",
            attribute="arm",
        ),
        _must("outcome", "what was measured", list="outcome"),
        _SCALE,
        _DAYS,
        _number("days_from_last_dose", "days since the last dose; negative before it"),
        _text("analysis_set", "closed list", list="analysis_set"),
        _text("estimator", "closed list", list="estimator"),
        _text("period", "crossover period: first, second, both or blank", list="period"),
        _must("statistic", "closed list", list="statistic"),
        _number("value", "the number; blank exactly where status is not_reported"),
        _text("unit", "unit of the value"),
        _must("source_id", "where it was read", table="sources", attribute="source"),
        _LOCATOR,
        _KIND,
        _must("confidence", "closed list", list="confidence"),
        _must("status", "closed list", list="status"),
        _truth("chosen", "false where a contradicting finding is used instead", empty=False),
        _text("reason", "why this one of several was chosen, or not"),
        _NOTE,
    ),
)
SOURCES = TableSchema(
    name="sources",
    meaning="one row per text or data set",
    key=("source_id",),
    fields=(
        _must("source_id", "short and unique", attribute="id"),
        _must("citation", "as one would cite it"),
        _text("doi", "DOI"),
        _text("url", "where it was read; may be a mirror"),
        _text("licence", "terms of the source"),
    ),
)
SCALES = TableSchema(
    name="scales",
    meaning="one row per rating scale",
    key=("name",),
    fields=(
        _must("name", "the name used in findings"),
        _must("label", "in full"),
        _number("minimum", "lowest score", empty=False),
        _number("maximum", "highest score", empty=False),
        _must("higher_is", "worse or better", list="higher_is"),
        _truth("integer", "whether a participant's score is a whole number", empty=False),
        _count("items", "number of items"),
        _text("response", "usual definition of response"),
        _text("remission", "usual definition of remission"),
        _text("definition", "what it measures"),
    ),
)
VOCABULARY = TableSchema(
    name="vocabulary",
    meaning="closed lists of this base, each name defined",
    key=("list", "name"),
    fields=(
        _must("list", "outcome, treatment, drug, form, route, population or dose_unit"),
        _must("name", "the name used in the tables"),
        _must("definition", "what it means"),
        _text("label_en", "name in English running text"),
        _text("label_nb", "name in Norwegian running text"),
    ),
)
PUBLISHED = TableSchema(
    name="published",
    meaning="pooled results of others: targets to compare with, never inputs",
    key=("id",),
    required=False,
    fields=(
        _must("id", "short and unique"),
        _must("citation", "as one would cite it"),
        _text("doi", "DOI"),
        _text("outcome", "what was measured"),
        _text("scale", "rating scale"),
        _number("days", "days since the first dose"),
        _text("comparison", "what was compared"),
        _text("measure", "effect measure"),
        _number("estimate", "the pooled value"),
        _number("ci95_lower", "lower 95 % limit"),
        _number("ci95_upper", "upper 95 % limit"),
        _count("k", "number of studies"),
        _count("n", "number of participants"),
        _number("i2", "I-squared in percent", minimum=0.0),
        _text("source_id", "where it was read", table="sources"),
        _LOCATOR,
        _NOTE,
    ),
)
GUESSES = TableSchema(
    name="guesses",
    meaning="counts of treatment guesses",
    required=False,
    fields=(
        _TRIAL,
        _ARM,
        _must("respondent", "patient, rater or clinician", list="respondent"),
        _DAYS,
        _truth("before_outcome", "asked before the outcome could have told the answer"),
        _count("correct", "guessed right"),
        _count("wrong", "guessed wrong"),
        _count("dont_know", "did not know"),
        _count("total", "asked"),
        _number("percent_correct", "as printed", minimum=0.0),
        _SOURCE,
        _LOCATOR,
        _KIND,
        _NOTE,
    ),
)
GUESS_OUTCOMES = TableSchema(
    name="guess_outcomes",
    meaning="the outcome of each stratum of arm by guess",
    required=False,
    fields=(
        _TRIAL,
        _ARM,
        _must("guess", "test, control or dont_know", list="guess"),
        _must("outcome", "what was measured", list="outcome"),
        _SCALE,
        _DAYS,
        _count("n", "participants in the stratum"),
        _number("mean", "mean of the stratum"),
        _number("sd", "standard deviation of the stratum", minimum=0.0),
        _SOURCE,
        _LOCATOR,
        _KIND,
        _NOTE,
    ),
)
INCLUSION = TableSchema(
    name="inclusion",
    meaning="which published assessment included which trial",
    key=("assessment", "trial_id"),
    required=False,
    fields=(
        _must("assessment", "short name of the assessment"),
        _TRIAL,
        _truth("included", "whether it was included", empty=False),
        _text("reason", "as stated, or that none was stated"),
        _text("search_date", "date of the assessment's search"),
        _SOURCE,
        _NOTE,
    ),
)
CORRELATIONS = TableSchema(
    name="correlations",
    meaning="reported associations between two measured quantities",
    required=False,
    fields=(
        _TRIAL,
        _ARM,
        _must("x", "first quantity"),
        _must("y", "second quantity"),
        _SCALE,
        _number("days", "days since the first dose"),
        _must("statistic", "kind of coefficient"),
        _number("value", "the coefficient", empty=False),
        _number("p", "two-sided p", minimum=0.0),
        _count("n", "participants"),
        _SOURCE,
        _LOCATOR,
        _NOTE,
    ),
)
RISK_OF_BIAS = TableSchema(
    name="riskofbias",
    meaning="answers to the questions of a risk-of-bias tool, and judgements that people recorded",
    required=False,
    fields=(
        _TRIAL,
        _must("outcome", "the result that was judged", list="outcome"),
        _SCALE,
        _must("effect", "effect of interest", list="effect_of_interest"),
        _must("domain", "D1, D2a, D2b, D3, D4, D5, S (crossover) or overall"),
        _text("question", "its number in the tool; blank for a recorded judgement"),
        _text("answer", "Y, PY, PN, N, NI or NA; a judgement where question is blank"),
        _text("why", "the reason, in one sentence"),
        _text("findings", "ids of the findings it rests on, separated by semicolons"),
        _SOURCE,
        _text("locator", "where it was read, or that it is not reported"),
        _text("who", "who answered"),
        _text("when", "date of the answer"),
        _truth("draft", "true until a person has read the answer and agreed"),
    ),
)
RISK_OF_BIAS_PUBLISHED = TableSchema(
    name="riskofbias_published",
    meaning="judgements of bias that others have published: to compare with, never inputs",
    key=("trial_id", "tool", "domain", "source_id"),
    required=False,
    fields=(
        _TRIAL,
        _must("tool", "the tool they used"),
        _must("domain", "the domain as printed, or overall"),
        _must("judgement", "as printed"),
        _text("why", "the reason they gave, in our words"),
        _must("source_id", "where it was read", table="sources", attribute="source"),
        _LOCATOR,
        _NOTE,
    ),
)

TABLES: Mapping[str, TableSchema] = {
    t.name: t
    for t in (
        TRIALS,
        ARMS,
        FINDINGS,
        SOURCES,
        SCALES,
        VOCABULARY,
        PUBLISHED,
        GUESSES,
        GUESS_OUTCOMES,
        INCLUSION,
        CORRELATIONS,
        RISK_OF_BIAS,
        RISK_OF_BIAS_PUBLISHED,
    )
}
