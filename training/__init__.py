"""The recipe that makes the detection and recognition models which this repository ships."""
