"""What to do next: alternatives, the API route, costs, the commands to type, the least machine."""
