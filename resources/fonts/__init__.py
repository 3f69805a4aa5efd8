"""Inter, the interface font: five styles of 4.0 beta 7, unchanged, under the SIL Open Font License; see LICENSE."""
