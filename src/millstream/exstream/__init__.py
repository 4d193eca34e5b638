"""Speaks Exstream: its tokens, its orchestration and design services, its engine as a web service, and its files."""
