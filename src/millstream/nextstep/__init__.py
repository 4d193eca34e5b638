"""What Exstream is to do next: asked in the transaction that decided it, carried out with attempts and evidence."""
