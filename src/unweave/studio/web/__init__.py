"""The web edition: the studio's page as a static site that separates songs in the browser itself."""
