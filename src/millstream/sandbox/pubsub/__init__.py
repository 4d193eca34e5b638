"""Cloud Pub/Sub as the Gmail sandbox needs it: topics, subscriptions, pull, streaming pull and push.

`broker.Broker` is what it knows; `rest` speaks HTTP, `rpc` gRPC, `push` posts to endpoints. Nothing here calls Google.
"""
