# One command a job; the tools are configured in pyproject.toml.
export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

# list the jobs
default:
    @just --list

# everything CI checks beside the tests: format, lint, layers, types, generated code
check: lint proto-check

# format, lint, layers and types
lint:
    ruff format --check . && ruff check . && lint-imports && mypy

# rewrite the code in the house format, with the safe fixes
fmt:
    ruff format . && ruff check --fix .

# all tests but e2e, with the branch coverage that decide/ and runtime/ must keep
test *ARGS:
    pytest tests --ignore=tests/e2e {{ARGS}}
