"""Questions to people about content that is frozen by its hash, and what their answers lead to.

One mechanism for two flows: business approval and compliance. `machine` is the whole logic, as a pure function of a
review and what happens to it; `desk` is the only writer; mails leave as deliveries like any other.
"""
