"""The Exstream sandbox: OTDS, orchestration, design and the engine as a web service, in one process over real HTTP.

Shapes follow the OpenAPI documents of the orchestration and design services (v1); what they leave open follows what
real servers were seen to answer, or is a setting. Nothing here calls Exstream.

`server.serve` starts it, `config.SandboxConfig` says how, `world.World` is what it knows.
"""
