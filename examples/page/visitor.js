// What this browser tells of the visitor's computer, in words that `--machine` understands: the
// system, and the name of the graphics processor.
//
// Browsers show the processor as the renderer of WebGL, in forms such as
//   ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 (0x00002504) Direct3D11 vs_5_0 ps_5_0, D3D11)
//   ANGLE (Apple, ANGLE Metal Renderer: Apple M2, Unspecified Version)
//   Mesa Intel(R) UHD Graphics 620 (KBL GT2)
//   NVIDIA GeForce GTX 980, or similar
// Some show another one of the same kind, or none, so that nobody is recognized by it: the page
// offers what it finds, and takes nothing by itself.

const platform = navigator.userAgentData?.platform ?? navigator.platform;

/**
 * A machine such as the visitor's, to begin with: the usual one, with the visitor's system, or a Mac.
 * On a phone people ask about another computer.
 */
export function exampleMachine(usual) {
  // a tablet of Apple's says that it is a Mac, but has a screen to touch
  if (/^mac/i.test(platform) && navigator.maxTouchPoints === 0) {
    return "macbook air m2 16gb";
  }
  return withSystem(usual);
}

/** The GPU and the system, or an empty text where the browser shows no GPU that says anything. */
export function browserGpu() {
  const name = gpuName(webglRenderer());
  return name && withSystem(name);
}

/** A machine with the word for Windows; Linux is assumed where no word tells. */
function withSystem(machine) {
  return /^win/i.test(platform) ? `${machine} windows` : machine;
}

function webglRenderer() {
  const context = document.createElement("canvas").getContext("webgl");
  if (context === null) {
    return "";
  }
  const names = context.getExtension("WEBGL_debug_renderer_info");
  if (names === null) {
    // Firefox has no extension, and says it here
    return context.getParameter(context.RENDERER);
  }
  return context.getParameter(names.UNMASKED_RENDERER_WEBGL);
}

// a processor that draws in software or for a guest, a whole line of products, graphics of phones
const TELLS_NOTHING =
  /swiftshader|llvmpipe|softpipe|basic render|virtio|vmware|svga3d|apple gpu|generic|adreno|mali|powervr/i;
// what surrounds the name of a product, each with what stands for it
const WRAPPINGS = [
  // the maker, the renderer and the version of ANGLE, which draws WebGL by another interface
  [/^ANGLE \([^,]*, (.*), [^,]*\)$/, "$1"],
  [/^ANGLE \([^,]*, (.*)\)$/, "$1"],
  [/^ANGLE Metal Renderer: /, ""],
  [/^Mesa (DRI )?/, ""],
  [/, or similar$/, ""],
  // the interface, and all behind it
  [/ (Direct3D\d*|OpenGL|Vulkan)\b.*$/, ""],
  [/\/PCIe.*$/, ""],
  // trade marks; then numbers of the device, names of the chip and of the driver
  [/\((R|TM)\)/gi, " "],
  [/\([^)]*\)/g, " "],
  [/\bLaptop GPU\b/i, "laptop"],
  [/^(NVIDIA|AMD|Intel) (?=NVIDIA|AMD|Intel|GeForce|Radeon)/i, ""],
  [/\s+/g, " "],
];

/** The product in the text of a renderer, or an empty text. */
export function gpuName(renderer) {
  if (TELLS_NOTHING.test(renderer)) {
    return "";
  }
  let name = renderer;
  for (const [wrapping, replacement] of WRAPPINGS) {
    name = name.replace(wrapping, replacement);
  }
  return name.trim();
}
