"""Every test of the orders of models, by the name that earlier notes have; `orders.py` has the options."""

from orders import main

if __name__ == "__main__":
    main()
