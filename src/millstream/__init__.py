"""Millstream connects OpenText Exstream to Gmail: what Exstream composes leaves through Gmail exactly once."""
