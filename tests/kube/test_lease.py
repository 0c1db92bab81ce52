from collections.abc import Callable
from typing import Any

import anyio
import leases
import pytest
import virtual_time

from snapshotd import errors
from snapshotd.kube import lease
from snapshotd.model import times

TIMING = lease.Timing()


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Callable[[], virtual_time.VirtualLoop]]]:
    return "asyncio", {"loop_factory": virtual_time.VirtualLoop}


async def test_the_first_one_creates_the_lease_as_the_reference_does() -> None:
    api = leases.Leases()

    await leases.candidate(api, team="storage").run(leases.Reign(1))

    method, spec = api.writes[0][1:]
    assert method == "POST"
    assert spec["holderIdentity"] == "a"
    assert spec["leaseDurationSeconds"] == 15
    assert spec["leaseTransitions"] == 0
    assert spec["acquireTime"] == spec["renewTime"]
    assert times.seconds(spec["renewTime"]) == pytest.approx(
        virtual_time.EPOCH + api.writes[0][0], abs=0.01
    )
    assert spec["renewTime"].endswith("Z")
    assert len(spec["renewTime"]) == len("2026-11-24T11:20:04.123456Z")
    assert api.lease is not None
    assert api.lease["metadata"]["labels"] == {"team": "storage"}


async def test_it_is_renewed_once_a_retry_period() -> None:
    api = leases.Leases()

    await leases.candidate(api).run(leases.Reign(60))

    renewals = [at for at, _, spec in api.writes if spec["holderIdentity"] == "a"]
    assert 10 <= len(renewals) <= 13
    first = api.writes[0][2]["acquireTime"]
    assert {spec["acquireTime"] for _, _, spec in api.writes[:-1]} == {first}
    assert {spec["leaseTransitions"] for _, _, spec in api.writes[:-1]} == {0}
    assert api.requests == len(api.writes) + 1  # no read but the first


async def test_it_is_given_back_at_the_end_so_that_another_starts_at_once() -> None:
    api = leases.Leases()
    first, second = leases.Reign(20), leases.Reign(1)

    async with anyio.create_task_group() as group:
        group.start_soon(leases.candidate(api, "a").run, first)
        await first.began.wait()
        group.start_soon(leases.candidate(api, "b").run, second)

    assert first.ended_at <= second.began_at <= first.ended_at + TIMING.retry_period * 1.2
    taken = next(spec for _, _, spec in api.writes if spec["holderIdentity"] == "b")
    assert taken["leaseTransitions"] == 1
    assert api.spec["holderIdentity"] == ""
    assert api.spec["leaseDurationSeconds"] == 1


async def test_it_is_given_back_when_cancelled() -> None:
    api = leases.Leases()
    reign = leases.Reign()

    async with anyio.create_task_group() as group:
        group.start_soon(leases.candidate(api).run, reign)
        await reign.began.wait()
        group.cancel_scope.cancel()

    assert api.spec["holderIdentity"] == ""


async def test_giving_it_back_takes_no_longer_than_it_may() -> None:
    api = leases.Leases()
    reign = leases.Reign()

    async with anyio.create_task_group() as group:
        group.start_soon(leases.candidate(api).run, reign)
        await reign.began.wait()
        api.trouble = anyio.sleep_forever
        begun = anyio.current_time()
        group.cancel_scope.cancel()

    assert anyio.current_time() - begun <= TIMING.renew_deadline


async def test_a_lease_that_cannot_be_given_back_harms_nobody() -> None:
    api = leases.Leases()

    async def lead() -> None:
        api.trouble = refuse

    await leases.candidate(api).run(lead)

    assert api.spec["holderIdentity"] == "a"


async def test_a_holder_that_died_is_followed_after_the_time_we_have_watched_it() -> None:
    """Whatever its clock said: its last renewal is dated an hour ahead."""
    api = leases.Leases()
    ahead = times.rfc3339_micro(virtual_time.EPOCH + 3600)
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 15, "renewTime": ahead}
    api.store({"metadata": {"name": "x"}, "spec": {**spec, "leaseTransitions": 3}})
    reign = leases.Reign(1)
    begun = anyio.current_time()

    await leases.candidate(api).run(reign)

    assert 15 <= reign.began_at - begun <= 15 + TIMING.retry_period * 1.2
    assert api.writes[0][2]["leaseTransitions"] == 4


async def test_the_duration_that_counts_is_the_holders() -> None:
    api = leases.Leases()
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 60}
    api.store({"metadata": {"name": "x"}, "spec": spec})
    reign = leases.Reign(1)
    begun = anyio.current_time()

    await leases.candidate(api).run(reign)

    assert reign.began_at - begun >= 60


async def test_two_never_lead_at_once() -> None:
    api = leases.Leases()
    reigns = {name: leases.Reign() for name in "abc"}
    leading: list[str] = []

    async def live(name: str) -> None:
        with pytest.raises(errors.Unavailable):
            await leases.candidate(api, name).run(reigns[name])

    async with anyio.create_task_group() as group:
        for name in reigns:
            group.start_soon(live, name)
        for _ in range(3):
            await anyio.sleep(30)
            (now,) = [name for name, reign in reigns.items() if _leads(reign)]
            leading.append(now)
            api.store({"metadata": {"name": "x"}, "spec": {"holderIdentity": "thief"}})
            await anyio.sleep(12)
            assert not [name for name, reign in reigns.items() if _leads(reign)]

    assert sorted(leading) == ["a", "b", "c"]


def _leads(reign: leases.Reign) -> bool:
    return reign.began.is_set() and reign.ended_at != reign.ended_at  # NaN: not yet


async def refuse() -> None:
    raise errors.Unavailable("connection refused")


@pytest.mark.parametrize("trouble", [refuse, anyio.sleep_forever])
async def test_a_lease_that_cannot_be_renewed_is_lost_before_another_may_take_it(
    trouble: Callable[[], Any],
) -> None:
    api = leases.Leases()
    reign = leases.Reign()
    election = leases.candidate(api)
    changes: list[tuple[bool, float]] = []
    election._on_change = lambda leading: changes.append((leading, anyio.current_time()))

    async def fail_later() -> None:
        await anyio.sleep(30)
        api.trouble = trouble

    async with anyio.create_task_group() as group:
        group.start_soon(fail_later)
        with pytest.raises(errors.Unavailable, match="lost the lease kube-system/snapshot-"):
            await election.run(reign)

    last = api.writes[-1][0]
    assert reign.ended_at - last == pytest.approx(TIMING.renew_deadline, abs=0.01)
    assert [leading for leading, _ in changes] == [True, False]
    assert not election.leading
    assert api.spec["holderIdentity"] == "a"  # not given back: it may be another's by now


async def test_the_time_a_request_took_counts_against_us() -> None:
    """Others may have seen the renewal when it was sent, not when we heard of it."""
    api = leases.Leases()
    reign = leases.Reign()

    async def slow() -> None:
        await anyio.sleep(2)
        if len(api.writes) == 4:
            raise errors.Unavailable("no")

    api.trouble = slow

    with pytest.raises(errors.Unavailable):
        await leases.candidate(api).run(reign)

    answered = api.writes[-1][0]
    assert reign.ended_at - answered == pytest.approx(TIMING.renew_deadline - 2, abs=0.01)


async def test_who_lost_it_knows_before_its_work_is_stopped() -> None:
    api = leases.Leases()
    election = leases.candidate(api)
    seen: list[bool] = []

    async def lead() -> None:
        seen.append(election.leading)
        api.store({"metadata": {"name": "x"}, "spec": {"holderIdentity": "b"}})
        try:
            await anyio.sleep_forever()
        finally:
            seen.append(election.leading)

    with pytest.raises(errors.Unavailable):
        await election.run(lead)

    assert seen == [True, False]


async def test_a_renewal_that_fails_once_is_tried_again_soon() -> None:
    api = leases.Leases()
    failures = [1, 2]
    reign = leases.Reign(30)

    async def sometimes() -> None:
        if api.writes and failures:
            failures.pop()
            raise errors.Unavailable("no")

    api.trouble = sometimes

    await leases.candidate(api).run(reign)

    assert not failures
    assert reign.ended_at - reign.began_at == pytest.approx(30)


async def test_who_leads_can_be_told_as_the_reference_tells_it() -> None:
    election = leases.candidate(leases.Leases())
    told: list[str] = []
    election._on_change = lambda _: told.append(election.announcement().message)

    await election.run(leases.Reign(1))

    assert told == ["a became leader", "a stopped leading"]
    event = election.announcement()
    assert (event.type, event.reason) == ("Normal", "LeaderElection")
    assert (event.about.kind, event.about.api_version) == ("Lease", "coordination.k8s.io/v1")
    assert (event.about.namespace, event.about.name) == (
        "kube-system",
        "snapshot-controller-leader",
    )


async def test_who_finds_another_in_its_place_stops() -> None:
    api = leases.Leases()
    reign = leases.Reign()

    async def usurp() -> None:
        await reign.began.wait()
        api.store({"metadata": {"name": "x"}, "spec": {"holderIdentity": "b"}})

    async with anyio.create_task_group() as group:
        group.start_soon(usurp)
        with pytest.raises(errors.Unavailable, match="b has it"):
            await leases.candidate(api).run(reign)

    assert api.spec["holderIdentity"] == "b"


async def test_what_others_write_into_the_lease_stays_there() -> None:
    api = leases.Leases()
    reign = leases.Reign(20)

    async def annotate() -> None:
        await reign.began.wait()
        assert api.lease is not None
        metadata = {**api.lease["metadata"], "annotations": {"a": "b"}}
        api.store({**api.lease, "metadata": metadata, "spec": {**api.spec, "strategy": "x"}})

    async with anyio.create_task_group() as group:
        group.start_soon(annotate)
        group.start_soon(leases.candidate(api).run, reign)

    assert api.lease is not None
    assert api.lease["metadata"]["annotations"] == {"a": "b"}
    assert api.spec["strategy"] == "x"


async def test_a_lease_that_was_deleted_is_made_again() -> None:
    api = leases.Leases()
    reign = leases.Reign(20)

    async def delete() -> None:
        await reign.began.wait()
        api.lease = None

    async with anyio.create_task_group() as group:
        group.start_soon(delete)
        group.start_soon(leases.candidate(api).run, reign)

    assert [method for _, method, _ in api.writes].count("POST") == 2


async def test_what_goes_wrong_in_the_work_comes_out_as_it_is() -> None:
    api = leases.Leases()

    async def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leases.candidate(api).run(broken)
    assert api.spec["holderIdentity"] == ""


async def test_a_server_that_is_away_at_first_is_waited_for() -> None:
    api = leases.Leases()
    begun = anyio.current_time()

    async def away() -> None:
        if anyio.current_time() - begun < 100:
            raise errors.Refused("403 Forbidden")

    api.trouble = away

    await leases.candidate(api).run(leases.Reign(1))

    assert anyio.current_time() - begun >= 100


async def test_health_complains_when_a_leader_does_not_renew() -> None:
    election = leases.candidate(leases.Leases())
    assert election.check() is None

    election.leading, election._renewed = True, anyio.current_time() - 36

    assert "not renewed for 36 s" in (election.check() or "")


@pytest.mark.parametrize(
    "timing", [lease.Timing(10, 10, 5), lease.Timing(15, 6, 5), lease.Timing(15, 10, 0)]
)
def test_times_that_let_two_lead_are_refused(timing: lease.Timing) -> None:
    with pytest.raises(errors.Misconfigured, match="leader-election-lease-duration"):
        timing.check()


def test_two_processes_of_a_host_are_told_apart() -> None:
    assert lease.identity() != lease.identity()


async def test_a_renewal_that_has_to_read_the_lease_first_is_told() -> None:
    api = leases.Leases()
    lock = lease.Lock("kube-system", "snapshot-controller-leader", "a")
    told: list[float] = []
    election = lease.LeaderElection(
        api,
        lock,
        clock=virtual_time.VirtualClock(),
        on_slow_path=lambda: told.append(anyio.current_time()),
    )
    reign = leases.Reign(30)

    async with anyio.create_task_group() as group:
        group.start_soon(election.run, reign)
        await reign.began.wait()
        await anyio.sleep(10)
        assert told == []  # a renewal is one write, and taking the lease is none of one's own
        assert api.lease is not None
        api.store({**api.lease, "metadata": {**api.lease["metadata"], "labels": {"a": "b"}}})
    assert len(told) == 1
