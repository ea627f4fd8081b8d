"""The studio: a server on one's own machine, and the page that it shows."""
