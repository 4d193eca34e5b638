"""The only room that signs people in: OpenID Connect by the code flow, with Google among others."""
