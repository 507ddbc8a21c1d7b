import { chroma, type Picture } from '../platform/picture';
import { matrixFor } from './colour';
import type { Renderer } from './renderer';

const VERTICES = `#version 300 es
out vec2 place;
void main() {
  // One triangle that covers the canvas; the picture's first row is its upper edge.
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  place = vec2(corner.x + 1.0, 1.0 - corner.y) * 0.5;
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const FRAGMENTS = `#version 300 es
precision highp float;
uniform sampler2D planeY;
uniform sampler2D planeU;
uniform sampler2D planeV;
uniform mat3 matrix;
in vec2 place;
out vec4 colour;
void main() {
  vec3 yuv = vec3(texture(planeY, place).r, texture(planeU, place).r, texture(planeV, place).r);
  colour = vec4(matrix * (yuv - vec3(16.0, 128.0, 128.0) / 255.0), 1.0);
}`;

const PLANES = ['planeY', 'planeU', 'planeV'] as const;

/** Draws with the graphics processor: three textures of one byte a texel, turned into colours by a shader. */
export class WebglRenderer implements Renderer {
  readonly kind = 'webgl2';
  private width = 0;
  private height = 0;

  private constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly gl: WebGL2RenderingContext,
    private readonly matrix: WebGLUniformLocation | null,
  ) {}

  /** `null` when there is no WebGL2, or when it refuses the shader. */
  static open(canvas: HTMLCanvasElement): WebglRenderer | null {
    const gl = canvas.getContext('webgl2', { alpha: false, antialias: false, depth: false });
    if (!gl) return null;
    const program = link(gl);
    if (!program) return null;
    gl.useProgram(program);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    PLANES.forEach((plane, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      gl.uniform1i(gl.getUniformLocation(program, plane), unit);
    });
    return new WebglRenderer(canvas, gl, gl.getUniformLocation(program, 'matrix'));
  }

  draw(picture: Picture): void {
    const { gl } = this;
    const { width, height } = picture;
    const resized = width !== this.width || height !== this.height;
    if (resized) this.resize(width, height);
    this.upload(0, width, height, picture.y, resized);
    this.upload(1, chroma(width), chroma(height), picture.u, resized);
    this.upload(2, chroma(width), chroma(height), picture.v, resized);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  private resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.canvas.width = width;
    this.canvas.height = height;
    this.gl.viewport(0, 0, width, height);
    const { luma, redFromV, greenFromU, greenFromV, blueFromU } = matrixFor(height);
    // By columns: what Y, U and V give to red, green and blue.
    const columns = [luma, luma, luma, 0, greenFromU, blueFromU, redFromV, greenFromV, 0];
    this.gl.uniformMatrix3fv(this.matrix, false, columns);
  }

  private upload(unit: number, width: number, height: number, plane: Uint8Array, anew: boolean): void {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    if (anew) gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, width, height, 0, gl.RED, gl.UNSIGNED_BYTE, plane);
    else gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RED, gl.UNSIGNED_BYTE, plane);
  }
}

function link(gl: WebGL2RenderingContext): WebGLProgram | null {
  const program = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTICES],
    [gl.FRAGMENT_SHADER, FRAGMENTS],
  ] as const) {
    const shader = gl.createShader(kind);
    if (!shader) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}
