"""An oracle for every derivative: explicit loss, HIPS autograd and dense NumPy, nothing of the library.

A unit is a plain function psi(z, c, a) of autograd arrays: z and a (m, n), c a list of p columns (m, 1). The
functions differentiate what they are given and build every projector and Hessian as a dense matrix.
"""

import autograd
import autograd.numpy as anp
import numpy as np


def cubic(z, c, a):
    return a * (z**3 + z)


def sinh(z, c, a):
    return a * anp.sinh(z)


def tanh(z, c, a):
    return a * anp.tanh(z)


def square(z, c, a):
    return a * z**2


def exponential(z, c, a):
    return a * anp.exp(z)


def trained_cubic(z, c, a):
    return a * c[0] * (z**3 + z)


def two_own(z, c, a):
    return a * c[0] * (z**3 + z) + c[1] ** 2 * anp.sin(z) + 0.3 * a * c[1]


def signed_squares(z, c, a):
    return a * (c[0] ** 2 - c[1] ** 2)


def squares(z, c, a):
    return a * c[0] ** 2


class Oracle:
    """f_i = sum_j psi(theta_j . x_i, c_j; a_ji) and everything that follows from it, by differentiation."""

    def __init__(self, psi, X, y, a, p=0):
        self.psi, self.X, self.y, self.a, self.p = psi, np.asarray(X), np.asarray(y), np.asarray(a), p
        seen = np.concatenate([self.X, self.a.T], axis=1)
        self.first = np.sort(np.unique(seen, axis=0, return_index=True)[1])  # of equal samples: one constraint

    # The model, the loss and its derivatives in the flattened parameters.

    def output(self, theta):
        d = self.X.shape[1]
        z = anp.dot(theta[:, :d], self.X.T)
        return anp.sum(self.psi(z, [theta[:, d + q : d + q + 1] for q in range(self.p)], self.a), axis=0)

    def loss(self, theta):
        return anp.sum((self.output(theta) - self.y) ** 2)

    def sample_loss(self, theta, i, label):
        return (self.output(theta)[i] - label) ** 2

    def loss_hessian(self, theta):
        return autograd.hessian(self.loss)(theta).reshape(theta.size, theta.size)

    def hessian_trace(self, theta):
        return np.trace(self.loss_hessian(theta))

    def jacobian(self, theta):
        return autograd.jacobian(self.output)(theta)

    def sharpness(self, theta):
        """2 sum_i |grad f_i|^2; that it equals the trace on M is itself tested, by `hessian_trace`."""
        return 2.0 * anp.sum(self.jacobian(theta) ** 2)

    # Projections and the Riemannian derivatives.

    def constraints(self, theta):
        """Rows of the Jacobian, flattened, one for each of the samples that differ."""
        return anp.reshape(self.jacobian(theta), (self.y.size, -1))[self.first]

    def projected(self, theta, u):
        """(I - J^T (J J^T)^{-1} J) u, flattened."""
        J = self.constraints(theta)
        return u - anp.dot(J.T, anp.linalg.solve(anp.dot(J, J.T), anp.dot(J, u)))

    def projector(self, theta):
        """I - J^+ J by a singular value decomposition of J."""
        rows = np.linalg.svd(self.constraints(theta), full_matrices=False)[2]
        return np.eye(theta.size) - rows.T @ rows

    def field(self, theta):
        """P(theta) grad F(theta), flattened; differentiable, and defined off M too."""
        return self.projected(theta, anp.reshape(autograd.grad(self.sharpness)(theta), -1))

    def gradient(self, theta):
        return self.field(theta).reshape(theta.shape)

    def multipliers(self, theta):
        J = self.jacobian(theta).reshape(self.y.size, -1)
        return np.linalg.lstsq(J.T, autograd.grad(self.sharpness)(theta).ravel(), rcond=None)[0]

    def field_jacobian(self, theta):
        """D (P grad F), dense."""
        return autograd.jacobian(self.field)(theta).reshape(theta.size, theta.size)

    def hessian(self, theta):
        """P D(P grad F) P, dense and symmetrised (its asymmetry is rounding)."""
        P = self.projector(theta)
        H = P @ self.field_jacobian(theta) @ P
        return 0.5 * (H + H.T)

    def hessian_vector_product(self, theta, u):
        """Hess F[Pu] in one reverse pass: P D(P grad F)^T P is the transpose of a symmetric matrix, so the same."""
        tangent = self.projected(theta, u.ravel())
        pulled = autograd.grad(lambda x: anp.dot(self.field(x), tangent))(theta)
        return np.asarray(self.projected(theta, pulled.ravel())).reshape(theta.shape)

    def spectrum(self, theta):
        """Eigenvalues of the Hessian on T intersected with the data's span, by a basis of that space."""
        m, d = theta.shape[0], self.X.shape[1]
        span = np.linalg.svd(self.X, full_matrices=False)
        rows = span[2][span[1] > 1e-10 * span[1].max(initial=0.0)]
        unit = np.zeros((rows.shape[0] + self.p, d + self.p))
        unit[: rows.shape[0], :d] = rows
        unit[rows.shape[0] :, d:] = np.eye(self.p)
        inside = np.kron(np.eye(m), unit).T
        null = np.linalg.svd(self.constraints(theta) @ inside)[2][self.first.size :].T
        basis = inside @ null
        return np.linalg.eigvalsh(basis.T @ self.hessian(theta) @ basis)


def relative(got, wanted):
    """|got - wanted| / |wanted| in the Frobenius norm."""
    return float(np.linalg.norm(np.asarray(got) - np.asarray(wanted)) / np.linalg.norm(np.asarray(wanted)))


def data_with_condition(n, d, condition, rng):
    """(n, d) data whose Gram matrix has that condition number, largest eigenvalue n."""
    left = np.linalg.qr(rng.normal(size=(n, n)))[0]
    right = np.linalg.qr(rng.normal(size=(d, n)))[0]
    return left @ np.diag(np.sqrt(n * np.logspace(0, -np.log10(condition), n))) @ right.T


def fitted_order(steps, errors):
    """Least-squares slope of log error over log step."""
    return float(np.polyfit(np.log(steps), np.log(errors), 1)[0])
