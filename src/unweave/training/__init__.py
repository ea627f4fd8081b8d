"""Training a separation model, from files with stems to a folder that ``unweave models add`` takes."""
