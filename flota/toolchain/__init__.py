"""From C sources to the base firmware and to model images, with the cross-compiler of the distribution."""

from flota.toolchain.build import FirmwareBuild, UnsignedImage, build_firmware, link_image
from flota.toolchain.compiler import CompileError, Compiler
from flota.toolchain.thirdparty import ThirdPartyMissing, fetch_third_party

__all__ = [
    "CompileError",
    "Compiler",
    "FirmwareBuild",
    "ThirdPartyMissing",
    "UnsignedImage",
    "build_firmware",
    "fetch_third_party",
    "link_image",
]
