"""The settings of synthetic tissue."""

from __future__ import annotations

from pydantic import Field

from eosin.config import Settings


class TissueSettings(Settings):
    """Settings of synthetic tissue. The defaults are the demo: 5 sections of 3 patients, about 300 spots each."""

    n_sections: int = Field(5, ge=1, le=676, description="sections")
    n_patients: int = Field(3, ge=1, le=26, description="patients; sections go round them in turn")
    size_um: float = Field(2000.0, ge=400, le=20_000, description="width and height of the image, µm")
    mpp: float = Field(1.0, ge=0.2, le=4, description="µm per pixel of the image")
    pitch_um: float = Field(100.0, ge=20, description="distance between spots, µm")
    diameter_um: float = Field(100.0, ge=5, description="width of a spot, µm; what it measures")
    jitter_um: float = Field(4.0, ge=0, description="sd of the spots' displacement, µm; 0 is an exact lattice")
    hexagonal: bool = Field(False, description="hexagonal lattice, as Visium; else square, as ST")
    n_genes: int = Field(60, ge=10, le=20_000, description="genes, of ten roles in fixed shares")
    mean_count: float = Field(6.0, gt=0, description="typical count of a gene in a spot")
    library_sd: float = Field(0.30, ge=0, le=2, description="sd of the log library size between spots")
    dispersion: float = Field(6.0, gt=0, description="negative binomial size: variance = m + m²/dispersion")
    zero_inflation: float = Field(0.05, ge=0, lt=1, description="chance that a count is lost")
    morphology: float = Field(0.95, ge=0, le=3, description="sd, log scale, of what the picture shows")
    neighbour: float = Field(0.70, ge=0, le=3, description="sd, log scale, of the surrounding spots' signal")
    hidden: float = Field(0.55, ge=0, le=3, description="sd, log scale, of the smooth field no picture shows")
    clone: float = Field(0.80, ge=0, le=3, description="half distance, log scale, of two states that look alike")
    patient_sd: float = Field(0.15, ge=0, le=2, description="sd, log scale, of a gene's level between patients")
    stain_sd: float = Field(0.10, ge=0, le=0.5, description="relative spread of staining between patients")
    seed: int = Field(0, ge=0, description="equal seeds and settings give equal tissue")
