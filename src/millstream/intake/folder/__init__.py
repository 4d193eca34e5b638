"""The door for files: Exstream's output tree, watched."""
