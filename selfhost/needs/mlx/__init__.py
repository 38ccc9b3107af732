"""What mlx-lm holds on a Mac."""
