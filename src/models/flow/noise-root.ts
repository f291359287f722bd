/**
 * Noise of covariance EᵀE for states seen through an embedding table E [vocab, width], without drawing noise in R^vocab.
 *
 * g = z·S with z ~ N(0, I_width) and S = (EᵀE)^½ has the distribution of ε·E with ε ~ N(0, I_vocab). Its derivative in E is
 * not that of S but the conditional expectation of the derivative εᵀ·ḡ of ε·E given g: since E[ε | g] = g (EᵀE)⁻¹ Eᵀ, it is
 * E·S⁻¹·zᵀ·ḡ. So gradients have the same expectation as with ε itself, and less variance.
 *
 * Consumed by training and sampling in the projected state space (state-space.ts).
 */
import {
  add,
  customVjp,
  div,
  iota,
  equal,
  cast,
  matmul,
  mul,
  reshape,
  scan,
  sqrt,
  square,
  sub,
  sum,
  transpose,
} from "../../dsl/index.ts";
import type { Tensor } from "../../dsl/index.ts";

/** Enough iterations for condition numbers up to about 10⁶: each grows small eigenvalues 2.25-fold, the last five converge. */
const ITERATIONS = 24;

/**
 * Share of the norm of EᵀE that is added to its diagonal. In f32 the small eigenvalues of a nearly singular product may come out
 * negative, on which the iteration diverges; this is above that rounding and far below what noise could show.
 */
const RIDGE = 1e-6;

const identity = (n: number): Tensor => cast(equal(iota([n, n], "i32", 0), iota([n, n], "i32", 1)), "f32");

/**
 * The symmetric square root of a positive definite matrix [n, n] and its inverse, by the coupled Newton–Schulz iteration
 * (Higham, Functions of Matrices, ch. 6): products only, so it is fast wherever matmul is.
 */
export function matrixRoot(matrix: Tensor): { readonly root: Tensor; readonly inverse: Tensor } {
  const n = matrix.shape[0] ?? 0;
  const eye = identity(n);
  const norm = sqrt(sum(square(matrix)));
  const start: readonly [Tensor, Tensor] = [div(matrix, norm), eye];
  const [[y, z]] = scan(
    ([a, b]: readonly [Tensor, Tensor]) => {
      const step: Tensor = mul(sub(mul(eye, 3), matmul(b, a)), 0.5);
      return [[matmul(a, step), matmul(step, b)] as const, null];
    },
    start,
    null,
    { length: ITERATIONS },
  );
  const scale = sqrt(norm);
  return { root: mul(y, scale), inverse: div(z, scale) };
}

/** EᵀE with the ridge. */
function gram(e: Tensor): Tensor {
  const product: Tensor = matmul(transpose(e), e);
  return add(product, mul(identity(product.shape[0] ?? 0), mul(sqrt(sum(square(product))), RIDGE)));
}

/** S = (EᵀE)^½ [width, width] of a table E [vocab, width]. Its derivative is not what gradients of the noise need. */
export const noiseRoot = (table: Tensor): Tensor => matrixRoot(gram(table)).root;

/**
 * Noise [..., width] of covariance EᵀE from standard normal draws of that shape, differentiable in E in the sense above.
 * @param table E [vocab, width]; for vocab <= width, ε·E itself costs less
 */
export function projectedNoise(table: Tensor, normals: Tensor): Tensor {
  const rows = (x: Tensor): Tensor => reshape(x, [-1, x.shape.at(-1) ?? 0]);
  const apply = (e: Tensor, z: Tensor): Tensor => matmul(z, noiseRoot(e));
  const noise = customVjp(
    apply,
    (e: Tensor, z: Tensor) => {
      const { root, inverse } = matrixRoot(gram(e));
      return [matmul(z, root) as Tensor, { e, z, root, inverse }] as const;
    },
    ({ e, z, root, inverse }: { e: Tensor; z: Tensor; root: Tensor; inverse: Tensor }, cotangent: Tensor) =>
      [
        matmul(e, matmul(inverse, matmul(transpose(rows(z)), rows(cotangent)))),
        matmul(cotangent, root),
      ] as readonly [Tensor, Tensor],
  );
  return noise(table, normals);
}
