"""The only package that touches the machine. It opens no socket, writes nothing, and starts no
program except one that asks NVIDIA's driver.
"""
