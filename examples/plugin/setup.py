"""A plugin is a plain package: nothing in it has to be known to mmssl."""

from setuptools import setup

setup(name='mmssl-example', version='0.1.0', packages=['mmssl_example'], install_requires=['mmssl'])
