"""What PyTorch holds while transformers generates, encodes or fine-tunes."""
