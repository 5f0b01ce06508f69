"""What `mkdocs.yml` calls when the site is built."""
