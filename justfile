# One command a job; the tools are configured in pyproject.toml.
export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# list the jobs
default:
    @just --list

# everything CI checks beside the tests: format, lint, layers, types, generated code, coverage
check: lint proto-check coverage

# format, lint, layers and types
lint:
    ruff format --check . && ruff check . && lint-imports && mypy

# rewrite the code in the house format, with the safe fixes
fmt:
    ruff format . && ruff check --fix .

# all tests but e2e
test *ARGS:
    pytest tests --ignore=tests/e2e {{ARGS}}

# the branch coverage that decide/ and runtime/ must keep: all of it
coverage:
    pytest -q tests/decide --cov=snapshotd.decide --cov-branch --cov-fail-under=100
    pytest -q tests/runtime --cov=snapshotd.runtime --cov-branch --cov-fail-under=100

# generate snapshotd/csi/_pb from the proto source
proto DIR="snapshotd/csi/_pb":
    python -m grpc_tools.protoc -I snapshotd/csi/proto --python_out={{DIR}} --grpc_python_out={{DIR}} --mypy_out=quiet:{{DIR}} --mypy_grpc_out=quiet:{{DIR}} csi.proto
    sed -i 's/^import csi_pb2/from snapshotd.csi._pb import csi_pb2/' {{DIR}}/csi_pb2_grpc.py {{DIR}}/csi_pb2_grpc.pyi

# the generated code is what the proto source gives
proto-check:
    rm -rf .proto-check && mkdir .proto-check && just proto .proto-check
    diff -r -x __pycache__ -x __init__.py .proto-check snapshotd/csi/_pb && rm -rf .proto-check

# write the pages that are made from the code
docs:
    PYTHONPATH=tests/support:. python tests/support/situations.py > docs/how-to/explain.md

# break every rule of decide/ in every small way, and count how many a test notices
mutants:
    pip install --quiet -e '.[test,mutation]' && mutmut run --max-children 2 && mutmut results

# thousands of random stories, other ones each time (the tests run a few thousand, always the same)
sim STORIES="20000":
    FIRST_SEED=$(date +%s) STORIES={{STORIES}} pytest tests/simulation

# random faults and restarts of every part for so long, another way each time (the tests: two minutes)
soak SECONDS="600":
    SOAK_SEED=$(date +%s) SOAK_SECONDS={{SECONDS}} pytest tests/faults/test_soak.py

# the commands that users run, with kubectl as the client, over the embedded API server
e2e *ARGS:
    pytest tests/e2e --api-server=embedded {{ARGS}}

# the same over a real kube-apiserver: from KUBEBUILDER_ASSETS, or built once with Go
e2e-real *ARGS:
    pytest tests/e2e --api-server=real {{ARGS}}

# the same in any cluster, by an administrator's kubeconfig: a namespace for each test, and clean-up
e2e-in KUBECONFIG *ARGS:
    pytest tests/e2e --kubeconfig={{KUBECONFIG}} {{ARGS}}

# measure beside others, from outside: `just bench reconcile --subject snapshotd reference --server envtest`
bench *ARGS:
    python -m benchmarks {{ARGS}}

# what single operations cost, and how it grows from 1,000 objects to 100,000
bench-micro *ARGS:
    pytest benchmarks/micro --benchmark-columns=median,iqr,ops --benchmark-sort=name {{ARGS}}

# docs/reference/metrics.md, from the code
metrics-page:
    python -m snapshotd.telemetry.reference > docs/reference/metrics.md

# the picture of /statusz in docs/, taken anew
statusz-picture:
    STATUSZ_PICTURE=docs/images/statusz.png pytest -q tests/app/test_observing.py
