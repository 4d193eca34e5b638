"""The door that fetches: finished jobs of Exstream."""
