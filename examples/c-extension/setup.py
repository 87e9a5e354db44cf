from setuptools import Extension, setup

SOURCES = ["module", "add", "multiply", "power", "factorial"]

setup(
    ext_modules=[
        Extension(
            "cgreeter._native",
            [f"src/cgreeter/{name}.c" for name in SOURCES],
            depends=["src/cgreeter/native.h"],
        )
    ]
)
