from setuptools import setup

setup(name="t", version="1.0")
