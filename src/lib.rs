//! On-device inference for the Coral Edge TPU.
