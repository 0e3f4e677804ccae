"""The reference engine: docTR 0.12 on TensorFlow. Importing anything in here needs the extra `tensorflow`."""
