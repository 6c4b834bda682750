/** One cause of an Invalid answer, with Kubernetes' reasons and message shapes. @see apimachinery, `util/validation/field`. */
export type FieldErrorReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueDuplicate'
  | 'FieldValueNotFound'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid'
  | 'InternalError';

export interface FieldError {
  readonly reason: FieldErrorReason;
  /** Dotted path with brackets: `spec.containers[0].image`, `metadata.labels[a/b]`. */
  readonly field: string;
  /** The whole message without the path: `Invalid value: "x": must be ...`, `Required value: ...`. */
  readonly message: string;
}
