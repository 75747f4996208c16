"""However the customers are dealt into blocks, every one of these metrics gives the same result."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel import metrics as m
from cxmodel.tallies.metrics import Metric

Build = Callable[..., cx.Journeys]
RECOVERY = m.Recovery(failed=["p"], resolved=["q"])
ONLINE = {"web": True, "phone": False}
EVERY: list[Metric[Any]] = [
    m.ExperienceMean(min_n=0), m.ExperiencePeak(min_n=0), m.ExperienceTrough(min_n=0), m.ExperienceEnd(min_n=0),
    m.ExtremePeak(min_n=0), m.PeakEnd(min_n=0), m.MemoryDecay(min_n=0), m.ExperienceIntegral(min_n=0),
    m.EffortSteps(), m.EffortContacts(touchpoints=["p"]), m.EffortTouchpoints(), m.EffortRepeats(), m.ChannelSwitches(),
    m.EffortMinutes(idle=timedelta(seconds=9)), m.Upc(of="channel"), m.Coc(of="channel"), m.Secon(of="channel"),
    m.Mmci(of="channel"), m.HandOffs(of="channel"), m.UnknownShare(of="channel"), m.WaitMean(), m.WaitQuantile(),
    m.WaitQuantile(share=0.9), m.WaitTotal(), m.RecoveryRate(recovery=RECOVERY), m.RecoveryTime(recovery=RECOVERY),
    m.RecoverySwitchShare(recovery=RECOVERY), m.ScoreAfterRecovery(recovery=RECOVERY, min_n=0),
    m.FirstContactResolution(contacts=["p"], window=timedelta(seconds=5)), m.OmnichannelShare(online=ONLINE),
    m.BridgeShare(online=ONLINE), m.BridgeLag(online=ONLINE),
]  # fmt: skip
EVENT = st.fixed_dictionaries(
    {
        "who": st.sampled_from("abcde"), "journey": st.sampled_from("12"), "what": st.sampled_from("pqr"),
        "at": st.integers(0, 60), "channel": st.sampled_from(["web", "phone", None]),
        "score": st.one_of(st.none(), st.integers(1, 5)),
    }
)  # fmt: skip
SEEN = [{"who": "z", "what": what, "at": 30, "channel": "web", "score": 3} for what in "pqr"]


@given(st.lists(EVENT, max_size=25), st.integers(2, 4))
def test_blocks_do_not_matter(build: Build, rows: list[dict[str, Any]], blocks: int) -> None:
    one, many = build([*rows, *SEEN]), build([*rows, *SEEN], blocks=blocks)
    for metric, whole, parts in zip(EVERY, one.measure(*EVERY), many.measure(*EVERY), strict=True):
        assert isinstance(whole, cx.Estimate)
        assert isinstance(parts, cx.Estimate)
        assert (whole.n, whole.flags, whole.reason) == (parts.n, parts.flags, parts.reason), metric
        if whole.value is None or parts.value is None:
            assert whole.value == parts.value
            continue
        assert whole.value == pytest.approx(parts.value, abs=1e-9)
        assert whole.n_eff == pytest.approx(parts.n_eff, rel=1e-4)
        assert (whole.interval is None) == (parts.interval is None)
        if whole.interval is not None and parts.interval is not None:
            ends = [whole.interval.low, whole.interval.high]
            assert ends == pytest.approx([parts.interval.low, parts.interval.high], rel=1e-4, abs=1e-4)
