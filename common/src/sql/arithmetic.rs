//! Checked `+ - * /`: they report an overflow, and round decimals.
//!
//! DataFusion's operators on integers wrap around, and its quotients of decimals are truncated. Its
//! physical operator can check for overflow, but no option enables this, and an encoded plan does
//! not keep the setting. So the analyzed plan calls a function instead: `a + b - c` becomes
//! `checked_arithmetic('+-', a, b, c)`. A chain of operators becomes one call, so that a long chain
//! is not a deep expression. Only operators on integers and decimals are rewritten. Arrow already
//! checks all other types.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Datum};
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, DecimalType, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, internal_err, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum::apply;

use super::decimal;
use super::rewrite::rewrite_expressions;

const NAME: &str = "checked_arithmetic";

/// Returns the function `checked_arithmetic`.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(CheckedArithmetic { signature: Signature::variadic_any(Volatility::Immutable) })
}

/// Replaces operators by calls of [`function`].
#[derive(Debug)]
pub(super) struct ArithmeticRule;

impl AnalyzerRule for ArithmeticRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let function = Arc::new(function());
        rewrite_expressions(plan, |expr, schema| {
            // Go from the top down, to find whole chains before their parts.
            expr.transform_down(|expr| match expr {
                Expr::BinaryExpr(binary) if symbol(binary.op).is_some() => chain(binary, schema, &function),
                // The negation of a literal cannot overflow: a literal has no sign, so it is not
                // the smallest integer.
                Expr::Negative(operand) if !matches!(*operand, Expr::Literal(..)) => {
                    let operand_type = operand.get_type(schema)?;
                    if !operand_type.is_signed_integer() {
                        return Ok(Transformed::no(Expr::Negative(operand)));
                    }
                    // `-x` is `0 - x`, which reports the overflow of the smallest integer.
                    let zero = Expr::Literal(ScalarValue::new_zero(&operand_type)?, None);
                    Ok(Transformed::yes(call(&function, "-".to_owned(), vec![zero, *operand])))
                }
                _ => Ok(Transformed::no(expr)),
            })
        })
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

/// Rewrites a left-deep chain of operators, such as `a + b - c`, with as few calls as possible. The
/// type of each operand is computed once, because computing the types of the nested operators would
/// take quadratic time.
fn chain(binary: BinaryExpr, schema: &DFSchema, function: &Arc<ScalarUDF>) -> Result<Transformed<Expr>> {
    // Unroll the chain iteratively: recursion would overflow the stack for a long one.
    let mut operators = Vec::new();
    let mut next = Expr::BinaryExpr(binary);
    let first = loop {
        match next {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if symbol(op).is_some() => {
                operators.push((op, *right));
                next = *left;
            }
            first => break first,
        }
    };
    let mut left_type = first.get_type(schema)?;
    let (mut left, mut symbols, mut operands) = (first, String::new(), vec![]);
    let mut is_rewritten = false;
    while let Some((op, right)) = operators.pop() {
        let right_type = right.get_type(schema)?;
        match symbol(op).filter(|_| can_go_wrong(&left_type, op, &right_type)) {
            Some(symbol) => {
                is_rewritten = true;
                // For the first operator of a call, add its left operand too.
                if symbols.is_empty() {
                    operands.push(std::mem::take(&mut left));
                }
                symbols.push(symbol);
                operands.push(right);
            }
            None => {
                // An operator that Arrow checks ends the call. The call becomes the left operand of
                // that operator.
                if !symbols.is_empty() {
                    left = call(function, std::mem::take(&mut symbols), std::mem::take(&mut operands));
                }
                left = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
            }
        }
        // Compute the type of the chain up to this operator, because the next operator needs it.
        left_type = BinaryTypeCoercer::new(&left_type, &op, &right_type).get_result_type()?;
    }
    let expr = if symbols.is_empty() { left } else { call(function, symbols, operands) };
    Ok(if is_rewritten { Transformed::yes(expr) } else { Transformed::no(expr) })
}

fn call(function: &Arc<ScalarUDF>, symbols: String, mut operands: Vec<Expr>) -> Expr {
    operands.insert(0, lit(symbols));
    function.call(operands)
}

fn symbol(op: Operator) -> Option<char> {
    match op {
        Operator::Plus => Some('+'),
        Operator::Minus => Some('-'),
        Operator::Multiply => Some('*'),
        Operator::Divide => Some('/'),
        _ => None,
    }
}

fn operator(symbol: char) -> Result<Operator> {
    match symbol {
        '+' => Ok(Operator::Plus),
        '-' => Ok(Operator::Minus),
        '*' => Ok(Operator::Multiply),
        '/' => Ok(Operator::Divide),
        other => plan_err!("{NAME} has no operator `{other}`"),
    }
}

/// Whether DataFusion's own operator would wrap around or truncate digits.
fn can_go_wrong(left: &DataType, op: Operator, right: &DataType) -> bool {
    let are_integers = left.is_integer() && right.is_integer();
    // Integer division truncates by definition and cannot overflow, except for the smallest integer
    // by -1, which Arrow reports.
    (are_integers && op != Operator::Divide) || (left.is_decimal() && right.is_decimal())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedArithmetic {
    signature: Signature,
}

impl ScalarUDFImpl for CheckedArithmetic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        // DataFusion calls `return_field_from_args` instead, because the function implements it.
        internal_err!("the type of {NAME} depends on its operators")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let symbols = match args.scalar_arguments.first() {
            Some(Some(symbols)) => symbols.try_as_str().flatten().unwrap_or_default(),
            _ => return plan_err!("{NAME} takes its operators as a constant text"),
        };
        let [_, first, rest @ ..] = args.arg_fields else { return plan_err!("{NAME} takes operators and operands") };
        if symbols.chars().count() != rest.len() {
            return plan_err!("{NAME} takes one operand more than operators");
        }
        let mut result = first.data_type().clone();
        // Compute the type as `chain` does, so that the call has the type of the replaced
        // operators.
        for (symbol, operand) in symbols.chars().zip(rest) {
            result = BinaryTypeCoercer::new(&result, &operator(symbol)?, operand.data_type()).get_result_type()?;
        }
        // Skip the first argument, which contains the operators.
        let is_nullable = args.arg_fields.iter().skip(1).any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(NAME, result, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut operands = args.args.into_iter();
        let Some(ColumnarValue::Scalar(symbols)) = operands.next() else {
            return plan_err!("{NAME} takes its operators as a constant text");
        };
        let Some(mut result) = operands.next() else { return plan_err!("{NAME} takes operands") };
        for (symbol, operand) in symbols.try_as_str().flatten().unwrap_or_default().chars().zip(operands) {
            let op = operator(symbol)?;
            result = apply(&result, &operand, |left, right| compute(left, op, right))?;
        }
        Ok(result)
    }
}

fn compute(left: &dyn Datum, op: Operator, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let result = match op {
        Operator::Plus => add(left, right)?,
        Operator::Minus => sub(left, right)?,
        Operator::Multiply => mul(left, right)?,
        _ => decimal::divide(left, right)?,
    };
    check_digits(&result)?;
    Ok(result)
}

/// Checks that decimals do not have too many digits, because Arrow only checks that they fit the
/// bits of their type. Only a type with the maximum precision needs this. Otherwise, the type of
/// an operator's result has enough digits for every result.
fn check_digits(values: &ArrayRef) -> Result<(), ArrowError> {
    match values.data_type() {
        DataType::Decimal128(precision, _) if *precision == Decimal128Type::MAX_PRECISION => {
            values.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)
        }
        DataType::Decimal256(precision, _) if *precision == Decimal256Type::MAX_PRECISION => {
            values.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)
        }
        _ => Ok(()),
    }
}
