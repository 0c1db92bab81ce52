"""What it costs to decide: pure functions, on a fresh snapshot and on one that is settled."""

from pytest_benchmark import fixture

from benchmarks.micro import material
from snapshotd.decide import binding, creation, intents, views


def test_decide_on_a_fresh_snapshot(benchmark: fixture.BenchmarkFixture) -> None:
    view, policy = material.view(), views.ClusterPolicy()
    decision = benchmark(lambda: binding.decide(view, policy, 0.0))
    assert isinstance(decision.intents[0], intents.CreateContent)


def test_decide_on_a_ready_snapshot(benchmark: fixture.BenchmarkFixture) -> None:
    view = views.BindingView(snapshot=material.snapshot(1), content=material.content(1))
    policy = views.ClusterPolicy()
    decision = benchmark(lambda: binding.decide(view, policy, 0.0))
    assert all(isinstance(each, intents.PublishStatus) for each in decision.intents)


def test_decide_on_a_ready_content(benchmark: fixture.BenchmarkFixture) -> None:
    view = views.ContentView(content=material.content(1))
    policy = views.DriverPolicy(material.DRIVER)
    decision = benchmark(lambda: creation.decide(view, policy, 0.0))
    assert not decision.intents
