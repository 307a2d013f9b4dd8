"""One module or package for each published API; each has `build(deps) -> FastAPI`."""
