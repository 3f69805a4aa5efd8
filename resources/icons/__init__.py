"""The icons in use: Lucide 1.62.0 (npm lucide-static), ISC and partly MIT; see LICENSE beside them."""
