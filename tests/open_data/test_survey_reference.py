"""Reference values of surveys and drivers: published cases, rescaled means, mix and rate, replicates."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import cxmodel as cx
from cxmodel import metrics
from cxmodel.stats.trinomial import trinomial_variance
from cxmodel.stats.weights import kish_n

pytestmark = pytest.mark.open_data

Reference = Callable[[str], Any]
FILE = "nps_csat_ces.json"
Z95 = float(norm.ppf(0.975))


def survey(scores: Sequence[int], scale: cx.Scale) -> cx.Responses:
    return cx.read_responses([{"score": score} for score in scores], score="score", scale=scale)


def promoters(counts: Sequence[int]) -> list[int]:
    """Answers with these numbers of detractors, passives and promoters."""
    return [answer for answer, count in zip((3, 7, 10), counts, strict=True) for _ in range(count)]


def half(estimate: cx.Estimate) -> float:
    assert estimate.interval is not None
    return (estimate.interval.high - estimate.interval.low) / 2


def test_published_cases_of_another_package(reference: Reference) -> None:
    for case in reference(FILE)["published_NPS_package_tests"]["cases"]:
        counts = case["counts"]
        nps = survey(promoters(counts), cx.Scale.nps()).measure(metrics.Nps(min_n=0, method="wald"))
        value = (counts[2] - counts[0]) / sum(counts)
        assert value == float(Fraction(case.get("nps", value)))
        assert nps.require() == pytest.approx(100 * value)
        variance = float(trinomial_variance(counts))
        assert variance == pytest.approx(float(Fraction(case["var"])))
        assert math.sqrt(variance / nps.n) == pytest.approx(case["se"], abs=5e-4)  # three digits were printed
        if abs(value) + Z95 * case["se"] < 1:  # the interval is clipped otherwise
            assert half(nps) == pytest.approx(100 * Z95 * case["se"], abs=0.1)


def test_error_on_the_effective_number_of_answers(reference: Reference) -> None:
    values = reference(FILE)["weighted"]
    weights, signs = np.array(values["weights"]), np.array(values["scores_pm1"])
    counts = [weights[signs == sign].sum() for sign in (-1, 0, 1)]
    naive = math.sqrt(float(trinomial_variance(counts)) / float(kish_n(weights)))
    assert naive == pytest.approx(values["se_naive_neff"])
    # what the library reports is the error that sees which answers weigh much, and it is larger here
    assert naive < values["se"]


def test_replicates_of_the_score(reference: Reference) -> None:
    """The reference drew other numbers, and buckets of customers are drawn here: within a tenth of its error."""
    values = reference(FILE)["bootstrap"]
    answers = promoters(values["counts"])
    assert math.sqrt(float(trinomial_variance(values["counts"])) / len(answers)) == pytest.approx(
        values["analytic_bootstrap_se"]
    )
    rows = [{"who": f"c{i}", "score": score} for i, score in enumerate(answers * 4)]
    asked = cx.read_responses(rows, customer="who", score="score", scale=cx.Scale.nps())
    replicated = asked.measure(metrics.Nps(), bootstrap=4_000, seed=1)
    assert replicated.interval is not None
    assert "bootstrap" in replicated.interval.method
    # four times the answers, half the error
    assert 2 * half(replicated) / Z95 == pytest.approx(100 * values["analytic_bootstrap_se"], rel=0.1)
    assert 2 * half(replicated) / Z95 == pytest.approx(100 * values["mc_bootstrap_se"], rel=0.1)
    low, high = values["percentile95_mc"]
    assert 2 * half(replicated) == pytest.approx(50 * (high - low), rel=0.1)


def regions(period: Mapping[str, Sequence[float]]) -> Iterator[dict[str, Any]]:
    for name, (share, nps) in period.items():
        n = round(1_000 * share)
        for score in promoters([0, n - round(n * nps), round(n * nps)]):
            yield {"region": name, "score": score}


def test_mix_and_rate_of_the_worked_example(reference: Reference) -> None:
    values = reference(FILE)["kitagawa_mix_rate"]
    before, after = (
        cx.read_responses(
            list(regions(values[f"period{i}_share_nps"])), score="score", scale=cx.Scale.nps(), attributes=["region"]
        ).measure(metrics.Nps(), by=cx.by.attribute("region"))
        for i in (0, 1)
    )
    found = cx.decompose(before, after, across=True)
    parts = found.parts
    assert sum(part.share_before * (part.before or 0) for part in parts) == pytest.approx(100 * values["nps0"])
    assert sum(part.share_after * (part.after or 0) for part in parts) == pytest.approx(100 * values["nps1"])
    assert found.change.require() == pytest.approx(100 * values["delta"])
    assert {part.group: part.mix.require() for part in found.parts} == pytest.approx(
        {name: 100 * each for name, each in values["mix"].items()}, abs=1e-9
    )
    assert {part.group: part.rate.require() for part in found.parts} == pytest.approx(
        {name: 100 * each for name, each in values["rate"].items()}, abs=1e-9
    )


def test_published_wilson_intervals(reference: Reference) -> None:
    published = reference(FILE)["csat_wilson"]["published"]
    cases = re.findall(r"(\d+)/(\d+) ([\d.]+),([\d.]+)", published)
    assert len(cases) == 4
    for case in cases:
        satisfied, n, low, high = (float(each) for each in case)
        answers = [5] * int(satisfied) + [1] * int(n - satisfied)
        share = survey(answers, cx.Scale.csat()).measure(metrics.Csat(min_n=0))
        assert share.interval is not None
        assert (share.interval.low, share.interval.high) == pytest.approx((low, high), abs=5e-5)


def test_means_from_0_to_100_and_net_ease(reference: Reference) -> None:
    csat, effort = reference(FILE)["csat_example"], reference(FILE)["ces_example"]
    score = metrics.Score100(min_n=0)
    assert survey(csat["ratings"], cx.Scale.csat()).measure(score).require() == pytest.approx(csat["mean_pct"])
    ease = survey(effort["ces1_effort_1to5"], cx.Scale.ces1()).measure(score)
    assert ease.require() == pytest.approx(effort["ces1_to_ease_0_100"])
    assert ease.direction == "higher"
    agreed = survey(effort["ces2_1to7_agree"], cx.Scale.ces2())
    assert agreed.measure(metrics.Ces2Net(min_n=0)).require() == pytest.approx(effort["net_easy"])
    assert agreed.measure(score).require() == pytest.approx(100 * (effort["mean"] - 1) / 6)


def test_shares_of_the_drivers_and_their_intervals(reference: Reference, open_data: Path) -> None:
    values = reference("key_drivers.json")["swiss"]
    names = [*values["predictors"], "Fertility"]
    scale = cx.Question(cx.Scale.own(0, 100))
    rows = cx.read_responses(open_data / "reference/swiss.csv", questions=dict.fromkeys(names, scale))
    table = rows.drivers("Fertility", bootstrap=500, seed=0)
    shares = [table[name].share for name in values["predictors"]]
    assert [each.require() for each in shares] == pytest.approx(values["lmg"])
    assert table.r2.require() == pytest.approx(values["r2"])
    assert [each.require() / table.r2.require() for each in shares] == pytest.approx(values["lmg_share"])
    # the reference resampled 47 rows, which are too few to be resampled here: the jackknife is near it, not equal
    for each, low, high in zip(shares, *values["lmg_bootstrap95_seed0_B500"], strict=True):
        assert each.interval is not None
        assert (each.interval.low, each.interval.high) == pytest.approx((low, high), abs=0.06)
        assert 2 * half(each) == pytest.approx(high - low, rel=0.25)
