"""What a person sees of a run: tables, progress, Caffe's log lines."""
