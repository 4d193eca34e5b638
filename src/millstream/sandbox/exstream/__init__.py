"""Stands for Exstream: OTDS, design, orchestration and the engine as a web service, over real HTTP."""
