.PHONY: run demo test bench lint lock clean

run: ## set up everything and open the console
	@scripts/venv.sh run
	@exec .venv/bin/deskside

demo: ## set up everything and open a seeded county
	@scripts/venv.sh run
	@exec .venv/bin/deskside demo

test: ## set up everything and run lint, types and all tests
	@scripts/venv.sh dev
	@scripts/test.sh

bench: ## measure against plain Textual, plain TinyDB and ourselves; prints ratios
	@scripts/venv.sh dev
	.venv/bin/python -m bench

lint:
	@scripts/venv.sh dev
	.venv/bin/ruff check console screens widgets backends tests bench
	.venv/bin/mypy

lock: ## make the lock files anew from pyproject.toml
	.venv/bin/python -m pip install -q uv
	.venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock -q --upgrade
	.venv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements-dev.lock -q --upgrade

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
