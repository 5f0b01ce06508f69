"""All domains, by name."""

from reproduction.countdown import COUNTDOWN
from reproduction.mazes import MAZES
from reproduction.products import PRODUCTS

DOMAINS = {domain.name: domain for domain in (MAZES, COUNTDOWN, PRODUCTS)}
