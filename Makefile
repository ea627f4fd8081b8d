.PHONY: setup format check test bench web web-libraries

setup:
	python3 -m venv .venv
	.venv/bin/pip install -c constraints.txt -e '.[dev]'

format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

check:
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test:
	.venv/bin/python -m pytest -n auto

bench:
	.venv/bin/python -m benchmarks.stages

# The libraries of the studio and the web edition, at the versions of web/package-lock.json; the studio, `unweave web` and the wheel take them along.
web-libraries:
	npm ci --prefix web --no-audit --no-fund
	npm run build --prefix web --silent

# The web edition as a folder of files, in build/web.
web: web-libraries
	.venv/bin/unweave web --export build/web
