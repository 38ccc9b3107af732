"""What a person or a program asks becomes a finished answer: one module a kind of answer."""
